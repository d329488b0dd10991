// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax

/// Names that are nearly what was typed, for messages.
enum Near {
    static func phrase(for word: String, among names: some Sequence<String>) -> String {
        Suggestion.phrase(for: word, among: names)
    }
}
