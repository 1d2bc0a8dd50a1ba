"""Kill tests: a real ``sidecar serve`` loses its process, disk, descriptors, clock, policy, Redis or targets while it answers chats."""
