-- Asks the sidecar's admin port whether a request may pass, since HAProxy has no forward auth of its own. Whatever is no yes is a no: the
-- sidecar's own words for 401 and 403, else 503. HAProxy asks four times by itself before it gives up, so a silent sidecar costs two seconds.

local ASK = "http://127.0.0.1:9180/auth"
local PATIENCE = 500 -- milliseconds for one try
local FIELDS = { "x-vx11-token", "authorization", "origin", "x-correlation-id" } -- auth.header of the policy comes first

local function list(values)
  local found = {}
  for index = 0, #values do -- HAProxy counts the values of a field from 0
    if values[index] ~= nil then
      found[#found + 1] = values[index]
    end
  end
  return found
end

local function refuse(txn, status, fields, body)
  local reply = txn:reply({ status = status })
  for name, values in pairs(fields) do
    if name ~= "content-length" and name ~= "connection" and name ~= "transfer-encoding" then
      for _, value in ipairs(list(values)) do
        reply:add_header(name, value)
      end
    end
  end
  reply:set_body(body)
  txn:done(reply)
end

core.register_action("vx11_auth", { "http-req" }, function(txn)
  local sent = txn.http:req_get_headers()
  local fields = { ["x-original-uri"] = { txn.f:url() } }
  for _, name in ipairs(FIELDS) do
    if sent[name] ~= nil then
      fields[name] = list(sent[name])
    end
  end
  local ok, answer = pcall(function()
    return core.httpclient():get({ url = ASK, headers = fields, timeout = PATIENCE })
  end)
  if ok and answer ~= nil and answer.status == 200 then
    return
  end
  if ok and answer ~= nil and (answer.status == 401 or answer.status == 403) then
    refuse(txn, answer.status, answer.headers, answer.body)
  else
    refuse(txn, 503, {}, "")
  end
end)
