"""What layers compute in: precision, the loss scale of float16, and what stays float32."""
