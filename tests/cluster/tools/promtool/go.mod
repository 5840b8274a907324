module registrytrust.io/promtool

go 1.26
