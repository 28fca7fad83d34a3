"""What clouds do, in no API's words; the only writer of its records."""
