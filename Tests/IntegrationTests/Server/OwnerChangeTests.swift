import BatonServer
import Foundation
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Server: changes of owners")
struct OwnerChangeTests {
  private static let owner = Owner(type: .org, id: "early")

  private func pause(_ stack: ServerStack, _ isPaused: Bool) async throws -> Int {
    let body = #"{"owner":{"type":"org","id":"early"},"isPaused":\#(isPaused)}"#
    return try await stack.client.send("PUT", "/api/owners", body: Array(body.utf8)).status
  }

  @Test("an owner is paused before its first review, by the API as by the command, and its page has a button for it")
  func early() async throws {
    try await withServerStack { stack in
      let page = "/owner?owner=org:early"
      #expect(try await pause(stack, false) == 404)
      #expect(try await stack.client.send("GET", page).body.contains("action=\"/owners/pause\""))
      #expect(try await pause(stack, true) == 200)
      let load = try #require(try await stack.store.load(of: Self.owner, ownerLimit: 20))
      #expect(load.isPaused && load.ownLimit == nil)
      #expect(try await stack.client.send("GET", page).body.contains("action=\"/owners/resume\""))
      #expect(try await !stack.store.pause(Self.owner))
      #expect(try await pause(stack, false) == 200)
    }
  }

  @Test("a pause leaves an owner's limit, and a limit of its own is shown also if it equals the default")
  func ownLimit() async throws {
    try await withServerStack { stack in
      try await stack.store.setLimit(of: Self.owner, to: 20)
      #expect(try await pause(stack, true) == 200)
      #expect(try await stack.store.load(of: Self.owner, ownerLimit: 20)?.ownLimit == 20)
      let page = try await stack.client.send("GET", "/owner?owner=org:early").body
      #expect(page.contains(/name="limit"[^>]*value="20"/))
      try await stack.store.setLimit(of: Self.owner, to: nil)
      #expect(try await stack.client.send("GET", "/owner?owner=org:early").body.contains(/name="limit"[^>]*value=""/))
    }
  }
}
