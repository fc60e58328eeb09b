"""The version of this package; the API's own is in its OpenAPI document."""

__version__ = "0.1.0"
