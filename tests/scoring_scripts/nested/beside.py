MARK = "below/"
