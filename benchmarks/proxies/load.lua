-- Sends the request in a file over and over; "{ID}" in it is another number each time, always of the same length.
local before, after, run
local count = 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local text = file:read("*a")
  file:close()
  run = args[2]
  local at = text:find("{ID}", 1, true)
  before, after = text, nil
  if at then
    before, after = text:sub(1, at - 1), text:sub(at + 4)
  end
end

function request()
  if not after then
    return before
  end
  count = count + 1
  return before .. run .. string.format("%08x", count) .. after
end
