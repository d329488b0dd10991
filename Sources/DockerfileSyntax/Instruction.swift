// SPDX-License-Identifier: Apache-2.0

/// One instruction of a Dockerfile, with its flags, arguments and heredocs.
public struct Instruction: Sendable {
    /// The keyword as written; compare with ``kind``.
    public let keyword: Word
    /// Which instruction it is; `nil` where the keyword is unknown.
    public let kind: Kind?
    /// The flags before the arguments, in order.
    public let flags: [Flag]
    /// Everything after the flags, trimmed, continuations removed.
    public let arguments: Word
    /// The heredocs that follow the line, in order.
    public let heredocs: [Heredoc]
    /// What it says.
    public let content: Content
    /// The instruction's line with continuations removed, leading white space stripped, heredocs left out.
    public let text: String
    /// From the keyword to the end of the last line, heredocs included.
    public let range: SourceRange
    /// The comment lines above it, without `#`, that no empty comment separates from it.
    public let comments: [Word]

    /// The description of a name in the comments above: the rest of the first comment that starts with the name.
    ///
    /// - Parameter name: The name of a stage or an argument.
    /// - Returns: The text after the name and a space; `nil` where no comment starts with them.
    public func documentation(of name: String) -> String? {
        guard !name.isEmpty else { return nil }
        let start = name + " "
        return comments.first { $0.text.hasPrefix(start) }.map { String($0.text.dropFirst(start.count)) }
    }

    /// Which instruction it is.
    public enum Kind: String, CaseIterable, Hashable, Sendable {
        /// Names the base of a stage.
        case from = "FROM"
        /// Runs a command.
        case run = "RUN"
        /// The default arguments or command of a container.
        case cmd = "CMD"
        /// Adds key and value pairs to the image's configuration.
        case label = "LABEL"
        /// The image's author, deprecated.
        case maintainer = "MAINTAINER"
        /// Ports a container listens on.
        case expose = "EXPOSE"
        /// Environment variables.
        case env = "ENV"
        /// Adds local or remote files and archives.
        case add = "ADD"
        /// Copies files from the context, a stage or an image.
        case copy = "COPY"
        /// The command of a container.
        case entrypoint = "ENTRYPOINT"
        /// Mount points.
        case volume = "VOLUME"
        /// The user of later RUNs and of containers.
        case user = "USER"
        /// The working directory.
        case workdir = "WORKDIR"
        /// Build-time variables.
        case arg = "ARG"
        /// An instruction for builds that take this image as their base.
        case onbuild = "ONBUILD"
        /// The signal that ends a container.
        case stopsignal = "STOPSIGNAL"
        /// How to see that a container works.
        case healthcheck = "HEALTHCHECK"
        /// The shell of shell-form commands.
        case shell = "SHELL"

        private static let byName = Dictionary(uniqueKeysWithValues: allCases.map { ($0.rawValue, $0) })

        /// Reads a keyword in letters of either case.
        init?(keyword: String) {
            guard let kind = Kind.byName[keyword] ?? Kind.byName[keyword.uppercased()] else { return nil }
            self = kind
        }

        /// Whether `<<WORD` after it starts a heredoc.
        var takesHeredocs: Bool { self == .run || self == .copy || self == .add }
    }
}

/// A flag of an instruction: `--name`, `--name=value`.
public struct Flag: Hashable, Sendable {
    /// The name without dashes.
    public let name: String
    /// What follows `=`, quotes and escapes removed; `nil` without `=`.
    public let value: Word?
    /// The flag as written, for printing.
    public let raw: Word
}

/// A here-document: lines that follow an instruction up to a delimiter.
public struct Heredoc: Hashable, Sendable {
    /// The delimiter without quotes; also the file's name in COPY and ADD.
    public let name: String
    /// The file descriptor written before `<<`; 0 where there is none.
    public let descriptor: Int
    /// Whether variables in the content are expanded: the delimiter has no quotes.
    public let expands: Bool
    /// Whether leading tabs are stripped: `<<-`.
    public let stripsTabs: Bool
    /// The lines between instruction and delimiter, line endings kept, tabs not stripped.
    public let content: String
    /// Where the content stands; the delimiter's line is outside.
    public let range: SourceRange

    /// The content with leading tabs stripped where `<<-` asks for it.
    public var text: String {
        guard stripsTabs else { return content }
        var result: [UInt8] = []
        var atLineStart = true
        for byte in content.utf8 {
            if atLineStart, byte == UInt8(ascii: "\t") { continue }
            atLineStart = byte == UInt8(ascii: "\n")
            result.append(byte)
        }
        return String(decoding: result, as: UTF8.self)
    }
}
