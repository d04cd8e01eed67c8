"""What a simulated link does to packets, one noun in each module."""
