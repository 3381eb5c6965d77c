"""The engines that there are: small adapters, and what runs in processes of their own."""
