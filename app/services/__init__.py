"""What the program can do, as plain functions over an opened library; Qt-free."""
