// SPDX-License-Identifier: Apache-2.0

/// Takes secrets out of what people and logs are shown.
public enum Redaction {
    /// What stands in a secret's place.
    public static let mark = "***"

    /// Parameters that are no secrets; every other value is hidden, so that a new kind of signature is too.
    private static let open: Set<String> = [
        "account", "artifactType", "client_id", "digest", "from", "last", "mount", "n", "ns", "scope", "service", "tag",
        "api-version", "orderby",
    ]

    /// An address as it may be shown.
    ///
    /// - Parameter url: The address.
    /// - Returns: Its text, with the values of all but well-known parameters hidden.
    public static func url(_ url: HTTPURL) -> String {
        (url.isSecure ? "https://" : "http://") + url.authority + target(url.target)
    }

    private static func target(_ target: String) -> String {
        guard let mark = target.firstIndex(of: "?") else { return target }
        let parameters = target[target.index(after: mark)...].split(separator: "&", omittingEmptySubsequences: false)
        let shown = parameters.map { parameter in
            guard let equals = parameter.firstIndex(of: "="), !open.contains(String(parameter[..<equals])) else {
                return String(parameter)
            }
            return parameter[...equals] + Redaction.mark
        }
        return target[...mark] + shown.joined(separator: "&")
    }

    /// Text of others as it may be shown: what servers and libraries say can repeat what they were sent.
    ///
    /// - Parameters:
    ///   - text: Any text.
    ///   - secrets: Passwords and tokens in use; those under four characters are not looked for.
    /// - Returns: The text without these, without what follows `Bearer` and `Basic`, without web tokens, without the
    ///   passwords of addresses and without values of parameters such as `sig` and `password`; control characters
    ///   become spaces.
    public static func text(_ text: String, secrets: [String] = []) -> String {
        var result = String(String.UnicodeScalarView(text.unicodeScalars.map { isControl($0) ? " " : $0 }))
        for secret in secrets.sorted(by: { $0.utf8.count > $1.utf8.count }) where secret.utf8.count >= 4 {
            for form in Set([secret, HTTPURL.encoded(secret)]) {
                result = result.split(separator: form, omittingEmptySubsequences: false).joined(separator: mark)
            }
        }
        return hidingParameters(hidingTokens(hidingPasswords(result)))
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.generalCategory == .control
    }

    private static func isTokenCharacter(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber || "-._~+/=".contains(character))
    }

    /// `scheme://user:password@host` keeps the host only.
    private static func hidingPasswords(_ text: String) -> String {
        var (result, rest) = ("", text[...])
        while let found = rest.firstRange(of: "://") {
            result += rest[..<found.upperBound]
            rest = rest[found.upperBound...]
            let authority = rest.prefix { !"/?# \"'".contains($0) }
            if let at = authority.lastIndex(of: "@") {
                result += mark
                rest = rest[at...]
            }
        }
        return result + rest
    }

    /// What follows `Bearer` or `Basic`, and what looks like a web token: three parts, the first of `{"…`.
    private static func hidingTokens(_ text: String) -> String {
        var (result, rest) = ("", text[...])
        var previous = ""
        while let first = rest.first {
            let word = rest.prefix { isTokenCharacter($0) }
            guard !word.isEmpty else {
                result.append(first)
                rest = rest.dropFirst()
                continue
            }
            let isScheme = previous == "bearer" || previous == "basic"
            let isToken = word.hasPrefix("eyJ") && word.utf8.count > 20
            let isCredential = isScheme && word.utf8.count > 5 && !word.hasPrefix("realm")
            result += isToken || isCredential ? mark : String(word)
            previous = word.lowercased()
            rest = rest[word.endIndex...]
        }
        return result
    }

    private static let secretParameters = [
        "sig", "password", "access_token", "refresh_token", "id_token", "token", "client_secret", "secret", "_state",
        "x-amz-signature", "x-amz-security-token", "x-amz-credential", "x-goog-signature", "signature",
    ]

    /// `name=value` with a name from the list above, and its JSON form.
    private static func hidingParameters(_ text: String) -> String {
        var result = text
        for name in secretParameters {
            for (form, end) in [("\(name)=", "& \"'<>,;)"), ("\"\(name)\":\"", "\""), ("\"\(name)\": \"", "\"")] {
                result = hiding(after: form, upTo: end, in: result)
            }
        }
        return result
    }

    private static func hiding(after form: String, upTo end: String, in text: String) -> String {
        let lower = text.lowercased()
        guard lower.utf8.count == text.utf8.count, lower.contains(form) else { return text }
        var (result, rest) = ("", text[...])
        while let found = rest.lowercased().firstRange(of: form) {
            let distance = rest.lowercased().utf8.distance(from: rest.lowercased().startIndex, to: found.upperBound)
            let start = rest.utf8.index(rest.startIndex, offsetBy: distance)
            result += rest[..<start] + mark
            rest = rest[start...].drop { !end.contains($0) }
        }
        return result + rest
    }
}
