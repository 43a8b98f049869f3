// Recorded data, see NOTICE.txt.
// swift-format-ignore-file

extension Recording {
  static let pull31 = Recording(
    method: "GET", path: "/repos/PyGithub/PyGithub/pulls/31", status: 200,
    headers: ["content-type": "application/json; charset=utf-8", "etag": #"W/"a41ee9edeaca5340c5132c726626daebfd3d9755ecc6f660b86b181dd45e202c""#, "last-modified": "Tue, 30 May 2023 15:23:13 GMT", "x-github-media-type": "github.v3; format=json"],
    body: ##"""
      {
       "url": "https://api.github.com/repos/PyGithub/PyGithub/pulls/31",
       "id": 1436215,
       "node_id": "MDExOlB1bGxSZXF1ZXN0MTQzNjIxNQ==",
       "html_url": "https://github.com/PyGithub/PyGithub/pull/31",
       "diff_url": "https://github.com/PyGithub/PyGithub/pull/31.diff",
       "patch_url": "https://github.com/PyGithub/PyGithub/pull/31.patch",
       "issue_url": "https://api.github.com/repos/PyGithub/PyGithub/issues/31",
       "number": 31,
       "state": "closed",
       "locked": false,
       "title": "Title edited by PyGithub",
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
       "body": "Body edited by PyGithub\n",
       "created_at": "2012-05-27T09:25:36Z",
       "updated_at": "2018-06-25T12:54:43Z",
       "closed_at": "2012-05-27T10:29:07Z",
       "merged_at": "2012-05-27T10:29:07Z",
       "merge_commit_sha": "28ae6dd10ebccd5eaf8db8dacb5b699ee7f4a663",
       "assignee": {
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
       "assignees": [
        {
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
        }
       ],
       "requested_reviewers": [
        {
         "login": "sfdye"
        }
       ],
       "requested_teams": [
        {
         "id": 123
        }
       ],
       "labels": [],
       "milestone": {
        "number": 1
       },
       "draft": false,
       "commits_url": "https://api.github.com/repos/PyGithub/PyGithub/pulls/31/commits",
       "review_comments_url": "https://api.github.com/repos/PyGithub/PyGithub/pulls/31/comments",
       "review_comment_url": "https://api.github.com/repos/PyGithub/PyGithub/pulls/comments{/number}",
       "comments_url": "https://api.github.com/repos/PyGithub/PyGithub/issues/31/comments",
       "statuses_url": "https://api.github.com/repos/PyGithub/PyGithub/statuses/8a4f306d4b223682dd19410d4a9150636ebe4206",
       "head": {
        "label": null,
        "ref": "master",
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "user": null,
        "repo": null
       },
       "base": {
        "label": "PyGithub:topic/RewriteWithGeneratedCode",
        "ref": "topic/RewriteWithGeneratedCode",
        "sha": "ed866fc43833802ab553e5ff8581c81bb00dd433",
        "user": {
         "login": "PyGithub",
         "id": 11288996,
         "node_id": "MDEyOk9yZ2FuaXphdGlvbjExMjg4OTk2",
         "avatar_url": "https://avatars.githubusercontent.com/u/11288996?v=4",
         "gravatar_id": "",
         "url": "https://api.github.com/users/PyGithub",
         "html_url": "https://github.com/PyGithub",
         "followers_url": "https://api.github.com/users/PyGithub/followers",
         "following_url": "https://api.github.com/users/PyGithub/following{/other_user}",
         "gists_url": "https://api.github.com/users/PyGithub/gists{/gist_id}",
         "starred_url": "https://api.github.com/users/PyGithub/starred{/owner}{/repo}",
         "subscriptions_url": "https://api.github.com/users/PyGithub/subscriptions",
         "organizations_url": "https://api.github.com/users/PyGithub/orgs",
         "repos_url": "https://api.github.com/users/PyGithub/repos",
         "events_url": "https://api.github.com/users/PyGithub/events{/privacy}",
         "received_events_url": "https://api.github.com/users/PyGithub/received_events",
         "type": "Organization",
         "site_admin": false
        },
        "repo": {
         "id": 3544490,
         "node_id": "MDEwOlJlcG9zaXRvcnkzNTQ0NDkw",
         "name": "PyGithub",
         "full_name": "PyGithub/PyGithub",
         "private": false,
         "owner": {
          "login": "PyGithub",
          "id": 11288996,
          "node_id": "MDEyOk9yZ2FuaXphdGlvbjExMjg4OTk2",
          "avatar_url": "https://avatars.githubusercontent.com/u/11288996?v=4",
          "gravatar_id": "",
          "url": "https://api.github.com/users/PyGithub",
          "html_url": "https://github.com/PyGithub",
          "followers_url": "https://api.github.com/users/PyGithub/followers",
          "following_url": "https://api.github.com/users/PyGithub/following{/other_user}",
          "gists_url": "https://api.github.com/users/PyGithub/gists{/gist_id}",
          "starred_url": "https://api.github.com/users/PyGithub/starred{/owner}{/repo}",
          "subscriptions_url": "https://api.github.com/users/PyGithub/subscriptions",
          "organizations_url": "https://api.github.com/users/PyGithub/orgs",
          "repos_url": "https://api.github.com/users/PyGithub/repos",
          "events_url": "https://api.github.com/users/PyGithub/events{/privacy}",
          "received_events_url": "https://api.github.com/users/PyGithub/received_events",
          "type": "Organization",
          "site_admin": false
         },
         "html_url": "https://github.com/PyGithub/PyGithub",
         "description": "Typed interactions with the GitHub API v3",
         "fork": false,
         "url": "https://api.github.com/repos/PyGithub/PyGithub",
         "forks_url": "https://api.github.com/repos/PyGithub/PyGithub/forks",
         "keys_url": "https://api.github.com/repos/PyGithub/PyGithub/keys{/key_id}",
         "collaborators_url": "https://api.github.com/repos/PyGithub/PyGithub/collaborators{/collaborator}",
         "teams_url": "https://api.github.com/repos/PyGithub/PyGithub/teams",
         "hooks_url": "https://api.github.com/repos/PyGithub/PyGithub/hooks",
         "issue_events_url": "https://api.github.com/repos/PyGithub/PyGithub/issues/events{/number}",
         "events_url": "https://api.github.com/repos/PyGithub/PyGithub/events",
         "assignees_url": "https://api.github.com/repos/PyGithub/PyGithub/assignees{/user}",
         "branches_url": "https://api.github.com/repos/PyGithub/PyGithub/branches{/branch}",
         "tags_url": "https://api.github.com/repos/PyGithub/PyGithub/tags",
         "blobs_url": "https://api.github.com/repos/PyGithub/PyGithub/git/blobs{/sha}",
         "git_tags_url": "https://api.github.com/repos/PyGithub/PyGithub/git/tags{/sha}",
         "git_refs_url": "https://api.github.com/repos/PyGithub/PyGithub/git/refs{/sha}",
         "trees_url": "https://api.github.com/repos/PyGithub/PyGithub/git/trees{/sha}",
         "statuses_url": "https://api.github.com/repos/PyGithub/PyGithub/statuses/{sha}",
         "languages_url": "https://api.github.com/repos/PyGithub/PyGithub/languages",
         "stargazers_url": "https://api.github.com/repos/PyGithub/PyGithub/stargazers",
         "contributors_url": "https://api.github.com/repos/PyGithub/PyGithub/contributors",
         "subscribers_url": "https://api.github.com/repos/PyGithub/PyGithub/subscribers",
         "subscription_url": "https://api.github.com/repos/PyGithub/PyGithub/subscription",
         "commits_url": "https://api.github.com/repos/PyGithub/PyGithub/commits{/sha}",
         "git_commits_url": "https://api.github.com/repos/PyGithub/PyGithub/git/commits{/sha}",
         "comments_url": "https://api.github.com/repos/PyGithub/PyGithub/comments{/number}",
         "issue_comment_url": "https://api.github.com/repos/PyGithub/PyGithub/issues/comments{/number}",
         "contents_url": "https://api.github.com/repos/PyGithub/PyGithub/contents/{+path}",
         "compare_url": "https://api.github.com/repos/PyGithub/PyGithub/compare/{base}...{head}",
         "merges_url": "https://api.github.com/repos/PyGithub/PyGithub/merges",
         "archive_url": "https://api.github.com/repos/PyGithub/PyGithub/{archive_format}{/ref}",
         "downloads_url": "https://api.github.com/repos/PyGithub/PyGithub/downloads",
         "issues_url": "https://api.github.com/repos/PyGithub/PyGithub/issues{/number}",
         "pulls_url": "https://api.github.com/repos/PyGithub/PyGithub/pulls{/number}",
         "milestones_url": "https://api.github.com/repos/PyGithub/PyGithub/milestones{/number}",
         "notifications_url": "https://api.github.com/repos/PyGithub/PyGithub/notifications{?since,all,participating}",
         "labels_url": "https://api.github.com/repos/PyGithub/PyGithub/labels{/name}",
         "releases_url": "https://api.github.com/repos/PyGithub/PyGithub/releases{/id}",
         "deployments_url": "https://api.github.com/repos/PyGithub/PyGithub/deployments",
         "created_at": "2012-02-25T12:53:47Z",
         "updated_at": "2023-06-07T04:02:03Z",
         "pushed_at": "2023-06-07T06:56:40Z",
         "git_url": "git://github.com/PyGithub/PyGithub.git",
         "ssh_url": "git@github.com:PyGithub/PyGithub.git",
         "clone_url": "https://github.com/PyGithub/PyGithub.git",
         "svn_url": "https://github.com/PyGithub/PyGithub",
         "homepage": "https://pygithub.readthedocs.io/",
         "size": 13881,
         "stargazers_count": 6051,
         "watchers_count": 6051,
         "language": "Python",
         "has_issues": true,
         "has_projects": true,
         "has_downloads": true,
         "has_wiki": false,
         "has_pages": false,
         "has_discussions": true,
         "forks_count": 1635,
         "mirror_url": null,
         "archived": false,
         "disabled": false,
         "open_issues_count": 252,
         "license": {
          "key": "lgpl-3.0",
          "name": "GNU Lesser General Public License v3.0",
          "spdx_id": "LGPL-3.0",
          "url": "https://api.github.com/licenses/lgpl-3.0",
          "node_id": "MDc6TGljZW5zZTEy"
         },
         "allow_forking": true,
         "is_template": false,
         "web_commit_signoff_required": false,
         "topics": [
          "github",
          "github-api",
          "pygithub",
          "python"
         ],
         "visibility": "public",
         "forks": 1635,
         "open_issues": 252,
         "watchers": 6051,
         "default_branch": "master"
        }
       },
       "_links": {
        "self": {
         "href": "https://api.github.com/repos/PyGithub/PyGithub/pulls/31"
        },
        "html": {
         "href": "https://github.com/PyGithub/PyGithub/pull/31"
        },
        "issue": {
         "href": "https://api.github.com/repos/PyGithub/PyGithub/issues/31"
        },
        "comments": {
         "href": "https://api.github.com/repos/PyGithub/PyGithub/issues/31/comments"
        },
        "review_comments": {
         "href": "https://api.github.com/repos/PyGithub/PyGithub/pulls/31/comments"
        },
        "review_comment": {
         "href": "https://api.github.com/repos/PyGithub/PyGithub/pulls/comments{/number}"
        },
        "commits": {
         "href": "https://api.github.com/repos/PyGithub/PyGithub/pulls/31/commits"
        },
        "statuses": {
         "href": "https://api.github.com/repos/PyGithub/PyGithub/statuses/8a4f306d4b223682dd19410d4a9150636ebe4206"
        }
       },
       "author_association": "MEMBER",
       "auto_merge": null,
       "active_lock_reason": null,
       "merged": true,
       "mergeable": false,
       "rebaseable": false,
       "mergeable_state": "dirty",
       "merged_by": {
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
       "comments": 1,
       "review_comments": 2,
       "maintainer_can_modify": false,
       "commits": 3,
       "additions": 511,
       "deletions": 384,
       "changed_files": 45
      }
      """##)
}
