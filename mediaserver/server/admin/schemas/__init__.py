"""What requests to the admin port and its answers contain, as types, and the OpenAPI description made of them."""
