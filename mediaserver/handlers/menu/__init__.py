"""The `menu` handler: an IVR. The module `plan` has the settings and validates them; `handler` runs the calls."""
