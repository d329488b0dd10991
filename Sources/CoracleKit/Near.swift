// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax

/// Names that are nearly what was typed, for messages.
public enum Near {
    /// Finds the nearest of some names.
    ///
    /// - Parameters:
    ///   - word: What was typed.
    ///   - names: What could have been typed.
    /// - Returns: `, did you mean "NAME"?`; empty where none is near.
    public static func phrase(for word: String, among names: some Sequence<String>) -> String {
        Suggestion.phrase(for: word, among: names)
    }
}
