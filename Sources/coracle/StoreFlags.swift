// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// Where the store is.
struct StoreFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The folder that images are kept in.",
            discussion: "Else CORACLE_STORE says where, else it is coracle in XDG_DATA_HOME or in ~/.local/share.",
            valueName: "folder"
        )
    )
    var store: String?

    var workspace: Workspace {
        get throws { try Workspace(store: store, environment: Environment.all) }
    }
}
