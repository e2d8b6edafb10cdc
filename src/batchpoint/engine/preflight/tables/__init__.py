"""What files of tables say of themselves, beside what a model wants; nothing here scores anything."""
