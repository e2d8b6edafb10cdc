"""What a driver does while something takes long: signs of life, a store that is away, a disk without room."""
