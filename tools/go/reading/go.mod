module registrytrust.io/reading

go 1.26
