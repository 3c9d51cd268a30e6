"""The window. The only package that knows Qt; what it shows comes through `bridge`."""
