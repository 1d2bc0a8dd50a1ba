"""The sidecar inside an application: what comes through an ASGI server, judged and answered as the data port does."""
