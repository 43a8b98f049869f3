// Recorded data, see NOTICE.txt.
// swift-format-ignore-file

extension Recording {
  static let issue31Comments = Recording(
    method: "GET", path: "/repos/PyGithub/PyGithub/issues/31/comments", status: 200,
    headers: ["x-github-media-type": "github.beta; format=json", "last-modified": "Sat, 08 Sep 2012 12:57:51 GMT", "etag": #""5494519596414fbfe208a0b6d193e8f9""#, "content-type": "application/json; charset=utf-8"],
    body: ##"""
      [
       {
        "body": "Issue comment created by PyGithub",
        "user": {
         "gravatar_id": "b68de5ae38616c296fa345d2b9df2225",
         "login": "jacquev6",
         "url": "https://api.github.com/users/jacquev6",
         "id": 327146,
         "avatar_url": "https://secure.gravatar.com/avatar/b68de5ae38616c296fa345d2b9df2225?d=https://a248.e.akamai.net/assets.github.com%2Fimages%2Fgravatars%2Fgravatar-user-420.png"
        },
        "created_at": "2012-09-08T12:57:51Z",
        "updated_at": "2012-09-08T12:57:51Z",
        "url": "https://api.github.com/repos/PyGithub/PyGithub/issues/comments/8387331",
        "id": 8387331
       }
      ]
      """##)

  static let renamedRepository = Recording(
    method: "GET", path: "/repos/ReDASers/Phishing-Detection", status: 301,
    headers: ["content-type": "application/json; charset=utf-8", "x-github-media-type": "github.v3; format=json"],
    body: ##"""
      {
       "message": "Moved Permanently",
       "url": "https://api.github.com/repositories/146139403",
       "documentation_url": "https://docs.github.com/v3/#http-redirects"
      }
      """##)

  static let installation = Recording(
    method: "GET", path: "/repos/ammarmallik/test-runner/installation", status: 200,
    headers: ["content-type": "application/json; charset=utf-8", "etag": #""b11a1c9caabe35f1de0a13e597a3022d27d2bff0694c2ccb5a65edc3b4d18837""#, "x-github-media-type": "github.v3; format=json"],
    body: ##"""
      {
       "id": 30614431,
       "account": {
        "login": "ammarmallik",
        "id": 29196434,
        "node_id": "MDQ6VXNlcjI5MTk2NDM0",
        "avatar_url": "https://avatars.githubusercontent.com/u/29196434?v=4",
        "gravatar_id": "",
        "url": "https://api.github.com/users/ammarmallik",
        "html_url": "https://github.com/ammarmallik",
        "followers_url": "https://api.github.com/users/ammarmallik/followers",
        "following_url": "https://api.github.com/users/ammarmallik/following{/other_user}",
        "gists_url": "https://api.github.com/users/ammarmallik/gists{/gist_id}",
        "starred_url": "https://api.github.com/users/ammarmallik/starred{/owner}{/repo}",
        "subscriptions_url": "https://api.github.com/users/ammarmallik/subscriptions",
        "organizations_url": "https://api.github.com/users/ammarmallik/orgs",
        "repos_url": "https://api.github.com/users/ammarmallik/repos",
        "events_url": "https://api.github.com/users/ammarmallik/events{/privacy}",
        "received_events_url": "https://api.github.com/users/ammarmallik/received_events",
        "type": "User",
        "site_admin": false
       },
       "repository_selection": "selected",
       "access_tokens_url": "https://api.github.com/app/installations/30614431/access_tokens",
       "repositories_url": "https://api.github.com/installation/repositories",
       "html_url": "https://github.com/settings/installations/30614431",
       "app_id": 243473,
       "app_slug": "gh-actions-test-ammar",
       "target_id": 29196434,
       "target_type": "User",
       "permissions": {
        "issues": "write",
        "metadata": "read",
        "administration": "write"
       },
       "events": [],
       "created_at": "2022-10-26T11:13:03.000Z",
       "updated_at": "2022-10-26T11:13:03.000Z",
       "single_file_name": null,
       "has_multiple_single_files": false,
       "single_file_paths": [],
       "suspended_by": null,
       "suspended_at": null
      }
      """##)

  static let installationToken = Recording(
    method: "POST", path: "/app/installations/30614431/access_tokens", status: 201,
    headers: ["content-type": "application/json; charset=utf-8", "etag": #"W/"b11a1c9caabe35f1de0a13e597a3022d27d2bff0694c2ccb5a65edc3b4d18837""#, "x-github-media-type": "github.v3; format=json"],
    body: ##"""
      {
       "token": "ghs_000000000000000000000000000000000000",
       "expires_at": "2024-11-25T01:00:02Z",
       "permissions": {
        "issues": "read",
        "metadata": "read"
       },
       "repository_selection": "selected"
      }
      """##)

  static let installationTokenWriting = Recording(
    method: "POST", path: "/app/installations/30614487/access_tokens", status: 201,
    headers: ["content-type": "application/json; charset=utf-8", "etag": #"W/"b11a1c9caabe35f1de0a13e597a3022d27d2bff0694c2ccb5a65edc3b4d18837""#, "x-github-media-type": "github.v3; format=json"],
    body: ##"""
      {
       "token": "ghs_000000000000000000000000000000000000",
       "expires_at": "2024-11-25T01:00:02Z",
       "permissions": {
        "organization_administration": "read",
        "administration": "write",
        "issues": "write",
        "metadata": "read"
       },
       "repository_selection": "selected"
      }
      """##)

  static let installationTokenUnauthorized = Recording(
    method: "POST", path: "/app/installations/30614431/access_tokens", status: 401,
    headers: ["content-type": "application/json; charset=utf-8", "etag": #"W/"b11a1c9caabe35f1de0a13e597a3022d27d2bff0694c2ccb5a65edc3b4d18837""#, "x-github-media-type": "github.v3; format=json"],
    body: ##"""
      {
       "message": "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
       "documentation_url": "https://docs.github.com/rest"
      }
      """##)

  static let installationTokenMissing = Recording(
    method: "POST", path: "/app/installations/40432121/access_tokens", status: 404,
    headers: ["content-type": "application/json; charset=utf-8", "etag": #""b11a1c9caabe35f1de0a13e597a3022d27d2bff0694c2ccb5a65edc3b4d18837""#, "x-github-media-type": "github.v3; format=json"],
    body: ##"""
      {
       "message": "Not Found",
       "documentation_url": "https://docs.github.com/rest/reference/apps#get-a-repository-installation-for-the-authenticated-app"
      }
      """##)

  static let installationTokenRefused = Recording(
    method: "POST", path: "/app/installations/30614431/access_tokens", status: 422,
    headers: ["content-type": "application/json; charset=utf-8", "etag": #"W/"b11a1c9caabe35f1de0a13e597a3022d27d2bff0694c2ccb5a65edc3b4d18837""#, "x-github-media-type": "github.v3; format=json"],
    body: ##"""
      {
       "message": "The permissions requested are not granted to this installation.",
       "documentation_url": "https://docs.github.com/rest/reference/apps#create-an-installation-access-token-for-an-app"
      }
      """##)

  static let reaction = Recording(
    method: "POST", path: "/repos/PyGithub/PyGithub/issues/comments/20227753/reactions", status: 201,
    headers: ["etag": #""4fa5b2fc1d006ba2d2732c3a5d07b6e4""#, "x-github-media-type": "github.squirrel-girl-preview", "content-type": "application/json; charset=utf-8"],
    body: ##"""
      {
       "id": 17282654,
       "user": {
        "login": "nicolastrres",
        "id": 6579348,
        "avatar_url": "https://avatars0.githubusercontent.com/u/6579348?v=4",
        "gravatar_id": "",
        "url": "https://api.github.com/users/nicolastrres",
        "html_url": "https://github.com/nicolastrres",
        "followers_url": "https://api.github.com/users/nicolastrres/followers",
        "following_url": "https://api.github.com/users/nicolastrres/following{/other_user}",
        "gists_url": "https://api.github.com/users/nicolastrres/gists{/gist_id}",
        "starred_url": "https://api.github.com/users/nicolastrres/starred{/owner}{/repo}",
        "subscriptions_url": "https://api.github.com/users/nicolastrres/subscriptions",
        "organizations_url": "https://api.github.com/users/nicolastrres/orgs",
        "repos_url": "https://api.github.com/users/nicolastrres/repos",
        "events_url": "https://api.github.com/users/nicolastrres/events{/privacy}",
        "received_events_url": "https://api.github.com/users/nicolastrres/received_events",
        "type": "User",
        "site_admin": false
       },
       "content": "hooray",
       "created_at": "2017-12-14T00:52:42Z"
      }
      """##)

  static let mergeRequestDiffs = Recording(
    method: "GET", path: "/api/v4/projects/278964/merge_requests/14656/diffs", status: 200,
    headers: ["content-type": "application/json"],
    body: ##"""
      [
       {
        "old_path": "README",
        "new_path": "README",
        "a_mode": "100644",
        "b_mode": "100644",
        "diff": "@@ -1 +1 @@ -Title +README",
        "new_file": false,
        "renamed_file": false,
        "deleted_file": false
       },
       {
        "old_path": "VERSION",
        "new_path": "VERSION",
        "a_mode": "100644",
        "b_mode": "100644",
        "diff": "@@ -1.9.7 +1.9.8",
        "new_file": false,
        "renamed_file": false,
        "deleted_file": false
       }
      ]
      """##)

  static let projectAccessToken = Recording(
    method: "POST", path: "/api/v4/projects/278964/access_tokens", status: 201,
    headers: ["content-type": "application/json"],
    body: ##"""
      {
       "id": 1876,
       "name": "token 10",
       "revoked": false,
       "created_at": "2021-03-09T21:11:47.271Z",
       "scopes": [
        "api",
        "read_api",
        "read_repository",
        "write_repository"
       ],
       "user_id": 2453,
       "active": true,
       "expires_at": null,
       "token": "00000000000000000000",
       "access_level": 40
      }
      """##)
}
