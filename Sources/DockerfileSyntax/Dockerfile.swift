// SPDX-License-Identifier: Apache-2.0

/// A Dockerfile as a tree: directives, global arguments, stages, and instructions with every word's place.
///
/// Nothing is expanded: words hold their quotes and variables as written, with line continuations removed.
/// Read it with ``parse(_:)``, which returns all faults of a text at once; the tree holds what could be read,
/// and instructions with a fault have the content ``Instruction/Content/invalid``.
///
/// Specification: the Dockerfile reference, as BuildKit 0.27's front end (labs syntax included) reads it.
public struct Dockerfile: Sendable {
    /// The text it was read from.
    public let source: SourceText
    /// Parser directives in the order of the file: `syntax`, `escape`, `check`.
    public let directives: [Directive]
    /// The escape character: a backslash, or a backtick by `# escape=`.
    public let escape: UInt8
    /// ARG instructions before the first FROM, in order.
    public let globalArguments: [Instruction]
    /// The stages in order; a stage starts with its FROM.
    public let stages: [Stage]

    /// Every instruction in the order of the file.
    public var instructions: [Instruction] {
        globalArguments + stages.flatMap { [$0.from] + $0.instructions }
    }
}

/// A parser directive: `# name=value` before anything else in the file.
///
/// Specification: Dockerfile reference, "Parser directives".
public struct Directive: Hashable, Sendable {
    /// What it sets.
    public enum Name: String, CaseIterable, Hashable, Sendable {
        /// The front end image that was meant to read the file; Coracle reads it itself.
        case syntax
        /// The escape character.
        case escape
        /// What lint rules are skipped, and whether warnings are errors.
        case check
    }

    /// What it sets.
    public let name: Name
    /// The value, without surrounding white space.
    public let value: Word
    /// The line it stands on.
    public let range: SourceRange
}

/// A build stage: a FROM and what follows it up to the next.
public struct Stage: Sendable {
    /// Its place in the file, counted from 0.
    public let index: Int
    /// The name after AS, in lower case; absent where there is none.
    public let name: String?
    /// The FROM instruction.
    public let from: Instruction
    /// What follows the FROM, in order; may be empty.
    public let instructions: [Instruction]

    /// How messages and plans call the stage: its name, else its index.
    public var label: String { name ?? String(index) }
}

/// A word as it was written, line continuations removed, and where it stands.
public struct Word: Hashable, Sendable {
    /// The text, with its quotes and variables.
    public let text: String
    /// The first to the last byte in the source, continuations between them included.
    public let range: SourceRange

    /// Creates a word.
    ///
    /// - Parameters:
    ///   - text: The text, with its quotes and variables.
    ///   - range: Where it stands.
    public init(_ text: String, at range: SourceRange) {
        (self.text, self.range) = (text, range)
    }
}
