// SPDX-License-Identifier: Apache-2.0

/// The value of `--chmod`: permissions as an octal number, or as changes to those a file has.
///
/// Specification: Dockerfile reference, "COPY --chown --chmod"; POSIX `chmod`.
public enum FileMode: Hashable, Sendable {
    /// Permissions from 0 to 0o7777.
    case octal(UInt32)
    /// Changes such as `u=rwX,go=rX`, checked.
    case symbolic(String)

    /// Reads a value; `nil` where it has another form.
    init?(_ text: String) {
        if let number = UInt32(text, radix: 8), !text.hasPrefix("+") {
            guard number <= 0o7777 else { return nil }
            self = .octal(number)
        } else if FileMode.isSymbolic(text) {
            self = .symbolic(text)
        } else {
            return nil
        }
    }

    /// As written in plans and history.
    public var text: String {
        switch self {
        case .octal(let number): String(number, radix: 8)
        case .symbolic(let text): text
        }
    }

    /// `[ugoa]*([-+=]([rwxXst]*|[ugo]))+` any number of times, with commas between.
    private static func isSymbolic(_ text: String) -> Bool {
        let clauses = text.split(separator: ",", omittingEmptySubsequences: false)
        return clauses.allSatisfy { clause in
            let actions = clause.drop { "ugoa".contains($0) }
            guard let first = actions.first, "-+=".contains(first) else { return false }
            return actions.split(whereSeparator: { "-+=".contains($0) })
                .allSatisfy { permissions in
                    permissions.allSatisfy { "rwxXst".contains($0) }
                        || (permissions.count == 1 && permissions.allSatisfy { "ugo".contains($0) })
                }
        }
    }
}
