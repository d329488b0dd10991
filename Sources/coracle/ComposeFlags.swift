// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// Which compose files, and which of their services.
struct ComposeFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A compose file; each is put over those before it. Also -f, where its name ends with .yaml or .yml.",
            discussion: "Else COMPOSE_FILE, else compose.yaml, compose.yml or docker-compose.yml in this folder.",
            valueName: "file"
        )
    )
    var compose: [String] = []

    @Option(
        help: ArgumentHelp("Also the services of this profile; * for all; else COMPOSE_PROFILES.", valueName: "name")
    )
    var profile: [String] = []
}
