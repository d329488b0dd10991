// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// For people or for programs.
public enum OutputFormat: String, CaseIterable, Sendable {
    /// Lines for people.
    case text
    /// JSON for programs; `docs/formats.md` describes the members.
    case json
}

/// A result that can be written for people and for programs.
protocol Writable {
    /// Lines for people, each with its end.
    var text: String { get }
    /// The value for programs.
    var json: JSONValue { get }
}

extension Writable {
    /// The result.
    ///
    /// - Parameter format: For whom.
    /// - Returns: Text with its last line ended; may be empty.
    func formatted(_ format: OutputFormat) -> String {
        switch format {
        case .text: text
        case .json: json.pretty + "\n"
        }
    }
}

/// Columns of text, each as wide as its widest cell.
enum TextTable {
    /// Writes a table.
    ///
    /// - Parameters:
    ///   - rows: Cells of each row, all with as many; control characters are replaced.
    ///   - indent: Blanks before each row.
    /// - Returns: A line for each row.
    static func write(_ rows: [[String]], indent: Int = 0) -> String {
        let rows = rows.map { $0.map { DiagnosticText.visible($0) } }
        var widths: [Int] = []
        for row in rows {
            for (column, cell) in row.enumerated() {
                if column == widths.count { widths.append(0) }
                widths[column] = max(widths[column], cell.count)
            }
        }
        let margin = String(repeating: " ", count: indent)
        return
            rows.map { row in
                let cells = row.enumerated()
                    .map { column, cell in
                        // Nothing follows the last cell.
                        column == row.count - 1
                            ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
                    }
                return margin + cells.joined(separator: "  ") + "\n"
            }
            .joined()
    }
}
