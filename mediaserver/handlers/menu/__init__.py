"""The `menu` handler: an IVR. `plan` has its settings, validated as a whole; `handler` runs a call through it."""
