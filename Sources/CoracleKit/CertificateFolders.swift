// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Store

/// Certificates for single registries, in the folders where Docker and podman keep them.
///
/// A folder is called as its registry, port included. In it, `*.crt` are trusted, and `NAME.cert` with `NAME.key` is a
/// certificate of our own.
///
/// Specification: containers-certs.d(5).
struct CertificateFolders {
    private let folders: [String]

    init(environment: [String: String]) {
        let value = { (name: String) in environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        let config = value("XDG_CONFIG_HOME") ?? value("HOME").map { $0 + "/.config" }
        let own = config.map { [$0 + "/containers/certs.d"] } ?? []
        folders = own + ["/etc/containers/certs.d", "/etc/docker/certs.d"]
    }

    /// Adds what is there; of several folders for a host, the first counts.
    func add(to settings: inout NetworkSettings) {
        settings.clientCertificateFolder = folders.first
        for folder in folders {
            for host in DiskFile.names(in: folder) { add(host, "\(folder)/\(host)", &settings) }
        }
    }

    private func add(_ host: String, _ folder: String, _ settings: inout NetworkSettings) {
        guard settings.authorityFilesByHost[host] == nil, settings.clientCertificates[host] == nil else { return }
        let names = DiskFile.names(in: folder)
        let trusted = names.filter { $0.hasSuffix(".crt") }.map { "\(folder)/\($0)" }
        if !trusted.isEmpty { settings.authorityFilesByHost[host] = trusted }
        guard let own = names.first(where: { $0.hasSuffix(".cert") }) else { return }
        settings.clientCertificates[host] = NetworkSettings.ClientCertificate(
            certificateFile: "\(folder)/\(own)",
            keyFile: "\(folder)/\(own.dropLast(5)).key"
        )
    }
}
