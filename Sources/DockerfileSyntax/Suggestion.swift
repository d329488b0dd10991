// SPDX-License-Identifier: Apache-2.0

/// The nearest of some names to a misspelt one.
public enum Suggestion {
    /// Finds the name that was probably meant.
    ///
    /// - Parameters:
    ///   - word: What was written; letter case counts only between otherwise equal candidates.
    ///   - names: What could have been written, in the order of preference; those after the first
    ///     200 are not looked at.
    /// - Returns: The nearest name by edit distance, `nil` where none is near (more than a third of the longer
    ///   word away, or more than 3 edits), or where `word` is itself one of them.
    public static func nearest(to word: String, among names: some Sequence<String>) -> String? {
        let wanted = Array(word.lowercased().unicodeScalars.prefix(256))
        guard !wanted.isEmpty else { return nil }
        var best: (name: String, distance: Int)?
        // A hostile file can have any number of names; people misspell one of a few.
        for name in names.prefix(200) {
            if name == word { return nil }
            let candidate = Array(name.lowercased().unicodeScalars.prefix(256))
            let longest = max(wanted.count, candidate.count)
            let limit = min(3, max(1, longest / 3))
            guard abs(wanted.count - candidate.count) <= limit else { continue }
            let distance = distance(wanted, candidate)
            guard distance <= limit, longest > 1 else { continue }
            if best.map({ distance < $0.distance }) ?? true { best = (name, distance) }
        }
        return best?.name
    }

    /// The text `, did you mean "NAME"?` for messages; empty where there is no near name.
    ///
    /// - Parameters:
    ///   - word: What was written.
    ///   - names: What could have been written.
    /// - Returns: Text to put at the end of a message.
    public static func phrase(for word: String, among names: some Sequence<String>) -> String {
        nearest(to: word, among: names).map { ", did you mean \"\($0)\"?" } ?? ""
    }

    /// Edits between two words: insertions, deletions, substitutions and swaps of neighbours.
    private static func distance(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for row in 0..<left.count {
            var current = [row + 1]
            current.reserveCapacity(right.count + 1)
            for column in 0..<right.count {
                let same = left[row] == right[column]
                var cost = min(last[column + 1] + 1, current[column] + 1, last[column] + (same ? 0 : 1))
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    cost = min(cost, beforeLast[column - 1] + 1)
                }
                current.append(cost)
            }
            (beforeLast, last) = (last, current)
        }
        return last[right.count]
    }
}
