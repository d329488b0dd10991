// SPDX-License-Identifier: Apache-2.0

/// Where images are kept.
public enum StoreFolder {
    /// The folder of the store.
    ///
    /// - Parameters:
    ///   - flag: The value of `--store`.
    ///   - environment: The environment of the process.
    /// - Returns: The flag, else `CORACLE_STORE`, else `coracle` below `XDG_DATA_HOME` or `~/.local/share`.
    public static func path(flag: String?, environment: [String: String]) -> String {
        if let path = flag ?? environment["CORACLE_STORE"], !path.isEmpty { return path }
        if let data = environment["XDG_DATA_HOME"], data.hasPrefix("/") { return data + "/coracle" }
        return (environment["HOME"] ?? "/var/tmp") + "/.local/share/coracle"
    }
}
