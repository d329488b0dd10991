// SPDX-License-Identifier: Apache-2.0
import Kubernetes
import OCI
import Testing

@Suite("Workloads")
struct WorkloadTests {
    @Test("The smallest workload is one Deployment, hardened, and named as recommended")
    func smallest() throws {
        var workload = Workload("web")
        workload.containers = [.init("web", image: "r.azurecr.io/web@sha256:0")]

        let manifests = try workload.manifests()

        #expect(manifests.map(\.description) == ["deployment/web"])
        let pod = manifests[0].json["spec"]?["template"]
        #expect(pod?["metadata"]?["labels"]?["app.kubernetes.io/name"] == "web")
        #expect(pod?["spec"]?["securityContext"]?["seccompProfile"]?["type"] == "RuntimeDefault")
        #expect(pod?["spec"]?["containers"]?.array?[0]["securityContext"]?["capabilities"]?["drop"] == ["ALL"])
        #expect(manifests[0].json["spec"]?["replicas"] == nil, "what nobody said is left to the cluster")
    }
}
