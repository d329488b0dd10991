// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import BuildPlan
internal import OCI
internal import Rootfs

/// ADD of a URL: the file was downloaded before the build began.
///
/// Specification: Dockerfile reference, "ADD", "Adding files from a URL"; BuildKit's name, permissions and times.
extension StepRunner {
    /// What a download adds to the key of its step: its content, its time and its name.
    func addDownload(_ source: CopyAction.Source, to key: inout KeyHasher) throws {
        guard case .url = source else { return }
        let (file, name) = try download(source)
        key.add(file.blob.digest.description)
        key.add(String(file.mtime))
        key.add(name)
    }

    /// Copies a download, or unpacks it where that is asked for.
    func copyDownload(
        _ source: CopyAction.Source,
        _ copy: CopyAction,
        _ rules: CopyRules,
        to target: FileTree
    ) throws {
        let (file, name) = try download(source)
        let node = FileNode(.file, mode: 0o600)
        (node.size, node.mtime) = (file.blob.size, file.mtime)
        try builder.content.adopt(file.path, node)
        if copy.unpacks == true {
            let adder = ArchiveAdder(content: builder.content, destination: target, everyKind: true)
            let place = FileTree.names(copy.destination.utf8)
            if try adder.add(node, name, to: place, owner: rules.owner) { return }
        }
        let tree = FileTree()
        try tree.root.set(Array(name.utf8), node)
        var rules = rules
        (rules.followsLinks, rules.copiesContent) = (false, false)
        try FileCopier(from: tree, to: target, rules).copy([Array(name.utf8)], to: copy.destination)
    }

    private func download(_ source: CopyAction.Source) throws -> (DownloadedFile, String) {
        guard case .url(let url) = source, let file = builder.sources.downloads[url], let name = source.downloadName
        else { throw BuildError("this build downloads no files") }
        return (file, name)
    }
}
