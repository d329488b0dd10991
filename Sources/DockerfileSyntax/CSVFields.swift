// SPDX-License-Identifier: Apache-2.0

/// One record of comma-separated values, as `--mount`, `--device` and `--output` write their keys (RFC 4180).
package enum CSVFields {
    /// Cuts a record into fields.
    ///
    /// - Parameter text: The record.
    /// - Returns: The fields with quotes removed; `nil` where a quote is not closed or stands inside a field.
    package static func read(_ text: String) -> [String]? {
        var fields: [String] = []
        var rest = Array(text.utf8)[...]
        while true {
            guard let field = readField(&rest) else { return nil }
            fields.append(field)
            guard rest.first == UInt8(ascii: ",") else { return rest.isEmpty ? fields : nil }
            rest = rest.dropFirst()
        }
    }

    private static func readField(_ rest: inout ArraySlice<UInt8>) -> String? {
        let quote = UInt8(ascii: "\"")
        guard rest.first == quote else {
            let field = rest.prefix { $0 != UInt8(ascii: ",") }
            rest = rest[field.endIndex...]
            return field.contains(quote) ? nil : String(decoding: field, as: UTF8.self)
        }
        rest = rest.dropFirst()
        var field: [UInt8] = []
        while let byte = rest.first {
            rest = rest.dropFirst()
            if byte != quote {
                field.append(byte)
            } else if rest.first == quote {
                field.append(quote)
                rest = rest.dropFirst()
            } else {
                return String(decoding: field, as: UTF8.self)
            }
        }
        return nil
    }
}
