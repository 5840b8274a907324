module registrytrust.io/showing

go 1.26
