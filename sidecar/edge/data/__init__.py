"""The data port: one door per client connection, the relay to the gateway, and the hand-over of chats."""
