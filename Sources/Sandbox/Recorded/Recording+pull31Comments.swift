// Recorded data, see NOTICE.txt.
// swift-format-ignore-file

extension Recording {
  static let pull31Comments = Recording(
    method: "GET", path: "/repos/PyGithub/PyGithub/pulls/31/comments", status: 200,
    headers: ["content-type": "application/json; charset=utf-8", "etag": #"W/"2d798fc8a4b3bdc86462c9e8e65753f25688b137c42e092cdc2d02ed94240f17""#, "x-github-media-type": "github.v3; format=json"],
    body: ##"""
      [
       {
        "url": "https://api.github.com/repos/PyGithub/PyGithub/pulls/comments/197784357",
        "pull_request_review_id": 131593233,
        "id": 197784357,
        "node_id": "MDI0OlB1bGxSZXF1ZXN0UmV2aWV3Q29tbWVudDE5Nzc4NDM1Nw==",
        "diff_hunk": "@@ -3,13 +3,13 @@\n class IssueEvent( Framework.TestCase ):\r\n     def setUp( self ):\r\n         Framework.TestCase.setUp( self )\r\n-        self.event = self.g.get_user().get_repo( \"PyGithub\" ).get_issues_event( 15819975 )\r\n+        self.event = self.g.get_user().get_repo( \"PyGithub\" ).get_issues_event( 16348656 )\r\n \r",
        "path": "test/IssueEvent.py",
        "commit_id": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "original_commit_id": "4aadfff21cdd2d2566b0e4bd7309c233b5f4ae23",
        "user": {
         "login": "eamanu",
         "id": 7605307,
         "node_id": "MDQ6VXNlcjc2MDUzMDc=",
         "avatar_url": "https://avatars.githubusercontent.com/u/7605307?v=4",
         "gravatar_id": "",
         "url": "https://api.github.com/users/eamanu",
         "html_url": "https://github.com/eamanu",
         "followers_url": "https://api.github.com/users/eamanu/followers",
         "following_url": "https://api.github.com/users/eamanu/following{/other_user}",
         "gists_url": "https://api.github.com/users/eamanu/gists{/gist_id}",
         "starred_url": "https://api.github.com/users/eamanu/starred{/owner}{/repo}",
         "subscriptions_url": "https://api.github.com/users/eamanu/subscriptions",
         "organizations_url": "https://api.github.com/users/eamanu/orgs",
         "repos_url": "https://api.github.com/users/eamanu/repos",
         "events_url": "https://api.github.com/users/eamanu/events{/privacy}",
         "received_events_url": "https://api.github.com/users/eamanu/received_events",
         "type": "User",
         "site_admin": false
        },
        "body": "Test Case Dissmiss Review",
        "created_at": "2018-06-25T12:54:34Z",
        "updated_at": "2018-06-25T12:54:43Z",
        "html_url": "https://github.com/PyGithub/PyGithub/pull/31#discussion_r197784357",
        "pull_request_url": "https://api.github.com/repos/PyGithub/PyGithub/pulls/31",
        "author_association": "NONE",
        "_links": {
         "self": {
          "href": "https://api.github.com/repos/PyGithub/PyGithub/pulls/comments/197784357"
         },
         "html": {
          "href": "https://github.com/PyGithub/PyGithub/pull/31#discussion_r197784357"
         },
         "pull_request": {
          "href": "https://api.github.com/repos/PyGithub/PyGithub/pulls/31"
         }
        },
        "reactions": {
         "url": "https://api.github.com/repos/PyGithub/PyGithub/pulls/comments/197784357/reactions",
         "total_count": 0,
         "+1": 0,
         "-1": 0,
         "laugh": 0,
         "hooray": 0,
         "confused": 0,
         "heart": 0,
         "rocket": 0,
         "eyes": 0
        },
        "start_line": null,
        "original_start_line": null,
        "start_side": null,
        "line": 7,
        "original_line": 7,
        "side": "RIGHT",
        "original_position": 6,
        "position": 6,
        "subject_type": "line"
       },
       {
        "url": "https://api.github.com/repos/PyGithub/PyGithub/pulls/comments/1580134",
        "pull_request_review_id": null,
        "id": 1580134,
        "node_id": "MDI0OlB1bGxSZXF1ZXN0UmV2aWV3Q29tbWVudDE1ODAxMzQ=",
        "diff_hunk": "@@ -70,7 +70,7 @@ def __useAttributes( self, attributes ):\n \n         # @todo No need to check if attribute is in attributes when attribute is mandatory\n {% for attribute in class.attributes|dictsort:\"name\" %}\n-        if \"{{ attribute.name }}\" in attributes and attributes[ \"{{ attribute.name }}\" ] is not None:\n+        if \"{{ attribute.name }}\" in attributes and attributes[ \"{{ attribute.name }}\" ] is not None: # pragma no branch",
        "path": "codegen/templates/GithubObject.py",
        "commit_id": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "original_commit_id": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "user": {
         "login": "jacquev6",
         "id": 327146,
         "node_id": "MDQ6VXNlcjMyNzE0Ng==",
         "avatar_url": "https://avatars.githubusercontent.com/u/327146?v=4",
         "gravatar_id": "",
         "url": "https://api.github.com/users/jacquev6",
         "html_url": "https://github.com/jacquev6",
         "followers_url": "https://api.github.com/users/jacquev6/followers",
         "following_url": "https://api.github.com/users/jacquev6/following{/other_user}",
         "gists_url": "https://api.github.com/users/jacquev6/gists{/gist_id}",
         "starred_url": "https://api.github.com/users/jacquev6/starred{/owner}{/repo}",
         "subscriptions_url": "https://api.github.com/users/jacquev6/subscriptions",
         "organizations_url": "https://api.github.com/users/jacquev6/orgs",
         "repos_url": "https://api.github.com/users/jacquev6/repos",
         "events_url": "https://api.github.com/users/jacquev6/events{/privacy}",
         "received_events_url": "https://api.github.com/users/jacquev6/received_events",
         "type": "User",
         "site_admin": false
        },
        "body": "Review comment created for PyGithub\n",
        "created_at": "2012-09-11T20:06:32Z",
        "updated_at": "2012-09-11T20:06:32Z",
        "html_url": "https://github.com/PyGithub/PyGithub/pull/31#discussion_r1580134",
        "pull_request_url": "https://api.github.com/repos/PyGithub/PyGithub/pulls/31",
        "author_association": "MEMBER",
        "_links": {
         "self": {
          "href": "https://api.github.com/repos/PyGithub/PyGithub/pulls/comments/1580134"
         },
         "html": {
          "href": "https://github.com/PyGithub/PyGithub/pull/31#discussion_r1580134"
         },
         "pull_request": {
          "href": "https://api.github.com/repos/PyGithub/PyGithub/pulls/31"
         }
        },
        "reactions": {
         "url": "https://api.github.com/repos/PyGithub/PyGithub/pulls/comments/1580134/reactions",
         "total_count": 2,
         "+1": 1,
         "-1": 0,
         "laugh": 0,
         "hooray": 1,
         "confused": 0,
         "heart": 0,
         "rocket": 0,
         "eyes": 0
        },
        "start_line": null,
        "original_start_line": null,
        "start_side": null,
        "line": 73,
        "original_line": null,
        "side": "RIGHT",
        "original_position": 5,
        "position": 5,
        "subject_type": "line"
       }
      ]
      """##)
}
