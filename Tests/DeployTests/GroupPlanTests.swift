// SPDX-License-Identifier: Apache-2.0
import Azure
import Deploy
import OCI
import TestSupport
import Testing

@Suite("Plans of a deployment")
struct GroupPlanTests {
    private func plan(_ change: (inout GroupWish) -> Void, over start: GroupWish = Groups.small) throws -> GroupPlan {
        let existing = try Groups.given(ContainerGroup.merging(start, into: nil, name: "web"))
        var wish = GroupWish()
        wish.containers = [ContainerWish()]
        change(&wish)
        var group = ContainerGroup.merging(wish, into: existing, name: "web")
        for place in group.missingSecrets { group.fill(place, SecureText("again")) }
        return GroupPlan(group, over: existing, name: "web")
    }

    @Test("A new group is made")
    func create() {
        let plan = GroupPlan(ContainerGroup.merging(Groups.small, into: nil, name: "web"), over: nil, name: "web")

        #expect(plan.action == .create)
        #expect(plan.text.hasPrefix("create web: web from \(Groups.image)\n"))
        #expect(plan.text.contains("it gets a public address"))
        #expect(!plan.movesAddress)
    }

    @Test("Tags change in place")
    func tags() throws {
        var start = Groups.small
        (start.credentials, start.containers[0].environment) = ([], [])

        let plan = try plan({ $0.tags = ["a": "b"] }, over: start)

        #expect(plan.action == .inPlace)
    }

    @Test("Nothing new is nothing to do")
    func unchanged() throws {
        var start = Groups.small
        (start.credentials, start.containers[0].environment) = ([], [])

        let plan = try plan({ $0.location = "West Europe" }, over: start)

        #expect(plan.action == .unchanged)
        #expect(plan.text == "web is as it should be: nothing to do\n")
    }

    @Test("Another image starts the containers again, and the address stays")
    func restart() throws {
        let plan = try plan {
            $0.containers[0].image = "myacr.azurecr.io/web@sha256:" + String(repeating: "b", count: 64) + ""
        }

        #expect(plan.action == .restart)
        #expect(
            plan.text.contains(
                "  ~ web: image: \(Groups.image) -> myacr.azurecr.io/web@sha256:" + String(repeating: "b", count: 64)
                    + "\n"
            )
        )
        #expect(plan.text.contains("its address 20.1.2.3 stays"))
        #expect(plan.group.tags[GroupPlan.goodTag] == Groups.image)
        #expect(plan.lastGood?.containers[0].image == Groups.image)
        #expect(plan.lastGood?.missingSecrets.isEmpty == true)
    }

    @Test("Secrets given again start the containers again, as nobody knows whether they are new")
    func secrets() throws {
        let plan = try plan { _ in }

        #expect(plan.action == .restart)
        #expect(plan.text.contains("given again"))
    }

    @Test("The password for a registry is no change of its own, unless it is renewed; a stopped group is started")
    func passwords() throws {
        var wish = Groups.small
        wish.containers[0].environment = []
        let sent = ContainerGroup.merging(wish, into: nil, name: "web")

        let running = try Groups.given(sent)
        #expect(GroupPlan(sent, over: running, name: "web").action == .unchanged)
        let renewed = GroupPlan(sent, over: running, name: "web", renewingPasswords: true)
        #expect(renewed.action == .restart)
        #expect(renewed.text.contains("the password of build for the registry myacr.azurecr.io: given again"))
        let stopped = GroupPlan(sent, over: try Groups.given(sent, state: "Stopped"), name: "web")
        #expect(stopped.action == .restart)
        #expect(stopped.text.contains("  ~ state: stopped -> running"))
        #expect(stopped.lastGood == nil, "what did not run is nothing to go back to")
    }

    @Test(
        "What Azure cannot change on a group that runs needs a new one, and moves the address",
        arguments: ["cpu", "ports", "restart policy", "subnet", "zones", "location", "container"]
    )
    func recreate(what: String) throws {
        let plan = try plan { wish in
            switch what {
            case "cpu": wish.containers[0].cpu = 2
            case "ports": wish.containers[0].ports = [.init(81)]
            case "restart policy": wish.restartPolicy = "Never"
            case "subnet": wish.subnet = "/subnets/x"
            case "zones": wish.zones = ["2"]
            case "location": wish.location = "northeurope"
            default:
                var sidecar = ContainerWish()
                (sidecar.name, sidecar.image) = ("side", "docker.io/library/nginx")
                wish.containers.append(sidecar)
            }
        }

        #expect(plan.action == .recreate)
        #expect(plan.movesAddress)
        #expect(plan.text.contains("its address 20.1.2.3 goes, and another comes"))
    }

    @Test("A group that does not run goes back to the image that did")
    func brokenGroup() throws {
        var start = Groups.small
        start.tags = [GroupPlan.goodTag: "myacr.azurecr.io/web@sha256:good"]
        let sent = ContainerGroup.merging(start, into: nil, name: "web")
        let existing = try Groups.given(sent, state: "Waiting")

        let plan = GroupPlan(sent, over: existing, name: "web")

        #expect(plan.lastGood?.containers[0].image == "myacr.azurecr.io/web@sha256:good")
    }

    @Test("A plan has no secrets, as text and as JSON")
    func noSecrets() throws {
        let plan = try plan { wish in
            wish.containers[0].environment = [.init("KEY", .secure(SecureText("s3cret-value")))]
            wish.containers[0].cpu = 2
        }

        for text in [plan.text, plan.json.pretty, "\(plan)", "\(plan.group)"] {
            for secret in Groups.secrets + ["again"] where secret != "again" || !text.contains("given again") {
                #expect(!text.contains(secret), "\(secret)")
            }
        }
    }
}
