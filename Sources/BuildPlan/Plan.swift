enum Plans {}
