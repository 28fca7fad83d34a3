"""What makes and keeps containers: the Runtime Protocol and its drivers."""
