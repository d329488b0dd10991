public struct WordExpander: Sendable { 
public struct Options: OptionSet, Sendable { public let rawValue: Int; public init(rawValue: Int){self.rawValue=rawValue}
 public static let rawQuotes = Options(rawValue:1), rawEscapes = Options(rawValue:2), skipQuotes = Options(rawValue:4), keepUnset = Options(rawValue:8) }
public init(escape: UInt8 = 92, options: Options = []) {}
public struct E: Error {}
public struct Expansion { public let text: String; public let matched: [String]; public let unmatched: [String] }
public func expand(_ word: String, with lookup: (String) -> String?) throws(E) -> Expansion { Expansion(text: word, matched: [], unmatched: []) }
public func words(_ word: String, with lookup: (String) -> String?) throws(E) -> [String] { word.split(separator: " ").map(String.init) }
}
