// SPDX-License-Identifier: Apache-2.0

extension Dockerfile {
    /// The tree as a Dockerfile: reading it again gives the same tree, places apart.
    ///
    /// Directives come first, then every instruction on one line with the comments above it and its heredocs below;
    /// a line too long to be read is continued. What the tree does not hold is lost: comments that an empty comment
    /// separates from the instruction below, and where lines were continued.
    ///
    /// - Returns: The text; ends with a line ending.
    public func printed() -> String {
        var text = ""
        for directive in directives {
            text += "# \(directive.name.rawValue)=\(directive.value.text)\n"
        }
        // An empty line ends the directives, so that no comment is taken for one.
        text += "\n"
        for instruction in instructions {
            text += instruction.printed(escape: escape)
        }
        return text
    }
}

extension Instruction {
    fileprivate func printed(escape: UInt8) -> String {
        // An empty comment keeps comments of the instruction before away from this one.
        var result = "#\n"
        for comment in comments {
            result += "# \(comment.text)\n"
        }
        result += Instruction.continued(text, escape: escape) + "\n"
        for heredoc in heredocs {
            result += heredoc.content + heredoc.name + "\n"
        }
        return result
    }

    /// Breaks a line that is too long to be read, before letters and digits only: no other place is free of meaning.
    private static func continued(_ line: String, escape: UInt8) -> String {
        let limit = Lexer.longestLine - 16
        guard line.utf8.count > limit else { return line }
        let bytes = Array(line.utf8)
        var result: [UInt8] = []
        var start = 0
        while bytes.count - start > limit {
            var end = start + limit
            while end > start + 1, !isBreak(bytes, before: end, escape) { end -= 1 }
            result += bytes[start..<end] + [escape, 0x0A]
            start = end
        }
        return String(decoding: result + bytes[start...], as: UTF8.self)
    }

    private static func isBreak(_ bytes: [UInt8], before index: Int, _ escape: UInt8) -> Bool {
        let isWord = { (byte: UInt8) in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: false
            }
        }
        return isWord(bytes[index]) && isWord(bytes[index - 1])
    }
}
