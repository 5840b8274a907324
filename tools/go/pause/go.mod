module registrytrust.io/pause
go 1.26
