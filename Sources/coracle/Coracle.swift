@main struct Coracle { static func main() {} }
