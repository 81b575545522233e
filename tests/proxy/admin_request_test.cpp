// Who may ask the admin port for what: each test is a way in that must be shut, or one that must stay open.
#include "proxy/admin_request.h"

#include <gtest/gtest.h>

namespace understudy::proxy {
namespace {

AdminRequest get(const std::string& target) {
  AdminRequest request;
  request.method = "GET";
  request.target = target;
  request.hosts = {"127.0.0.1:6433"};
  return request;
}

AdminRequest post(const std::string& target) {
  AdminRequest request = get(target);
  request.method = "POST";
  request.marked = true;
  return request;
}

const AdminRules kLocal{};
const AdminRules kLocalWithToken{"open sesame", true};
const AdminRules kOpen{"open sesame", false};

TEST(AdminRequestTest, EveryEndpointIsFound) {
  for (const char* path : {"/healthz", "/readyz", "/metrics", "/api/v1/backends", "/api/v1/pools",
                           "/api/v1/sessions", "/api/v1/failovers", "/api/v1/record"}) {
    EXPECT_EQ(judge(get(path), kLocal).status, 200) << path;
    EXPECT_EQ(judge(get(std::string(path) + "?"), kLocal).status, 200) << path;
  }
  EXPECT_EQ(judge(post("/api/v1/pause?timeout=1s"), kLocal).endpoint, AdminEndpoint::kPause);
  EXPECT_EQ(judge(post("/api/v1/resume"), kLocal).endpoint, AdminEndpoint::kResume);
  EXPECT_EQ(judge(post("/api/v1/reload"), kLocal).endpoint, AdminEndpoint::kReload);
  EXPECT_EQ(judge(post("/api/v1/record/start?name=x"), kLocal).endpoint, AdminEndpoint::kRecordStart);
  EXPECT_EQ(judge(post("/api/v1/record/stop"), kLocal).endpoint, AdminEndpoint::kRecordStop);
  EXPECT_EQ(judge(post("/api/v1/record/mark?text=x"), kLocal).endpoint, AdminEndpoint::kRecordMark);
  EXPECT_EQ(judge(post("/api/v1/record/save?name=x"), kLocal).endpoint, AdminEndpoint::kRecordSave);
}

TEST(AdminRequestTest, UnknownParametersAreRefusedAndTheKnownOnesNamed) {
  const auto reason_of = [](const AdminRequest& request) {
    const AdminVerdict verdict = judge(request, kLocal);
    EXPECT_EQ(verdict.status, 400) << request.target;
    return verdict.reason;
  };
  EXPECT_EQ(reason_of(post("/api/v1/pause?timeout=1s&tiemout=2s")),
            "there is no parameter \"tiemout\"; known here: timeout");
  EXPECT_EQ(reason_of(post("/api/v1/move?promoted=true")),
            "there is no parameter \"promoted\"; known here: timeout, promote, to");
  EXPECT_EQ(
      reason_of(post("/api/v1/record/start?name=a&usr=ada")),
      "there is no parameter \"usr\"; known here: name, duration, max_size, user, database, application, "
      "client, sample");
  EXPECT_EQ(reason_of(get("/api/v1/sessions?user=ada")),
            "there is no parameter \"user\"; none is known here");
  for (const char* const one : {"timeoutx=1s", "t=1s", "=1s", "TIMEOUT=1s", "t%69meout=1s",
                                "timeout, promote=1", "timeout&x", "timeout,=1"}) {
    EXPECT_EQ(judge(post(std::string("/api/v1/move?") + one), kLocal).status, 400) << one;
  }
  EXPECT_LT(reason_of(post("/api/v1/resume?" + std::string(10'000, 'a'))).size(), 200U);
  // What stands behind the name is nobody's business.
  EXPECT_EQ(reason_of(post("/api/v1/resume?token=secret")).find("secret"), std::string::npos);
}

TEST(AdminRequestTest, KnownParametersAreTaken) {
  for (
      const char* const target :
      {"/api/v1/pause?timeout=1s", "/api/v1/pause?&timeout=1s&&", "/api/v1/move?to=a&promote=true&timeout=1s",
       "/api/v1/record/start?name=a&duration=1s&max_size=1GiB&user=a&user=b&database=c&application=d&client=e"
       "&sample=5",
       "/api/v1/record/mark?text=a%26b=c", "/api/v1/record/save?name=a&last=10min"}) {
    EXPECT_EQ(judge(post(target), kLocal).status, 200) << target;
  }
  // Probes and scrapers say what they like.
  for (const char* const path : {"/healthz", "/readyz", "/metrics"}) {
    EXPECT_EQ(judge(get(std::string(path) + "?x=1"), kLocal).status, 200) << path;
  }
}

TEST(AdminRequestTest, WhoHasNoTokenLearnsNothingOfParameters) {
  EXPECT_EQ(judge(post("/api/v1/pause?x=1"), kLocalWithToken).status, 401);
  AdminRequest request = post("/api/v1/pause?x=1");
  request.authorization = "Bearer open sesame";
  const AdminVerdict verdict = judge(request, kLocalWithToken);
  EXPECT_EQ(verdict.status, 400);
  EXPECT_TRUE(verdict.token_compared);
}

TEST(AdminRequestTest, UnknownPathsAreNotFound) {
  for (const char* path : {"", "/", "*", "/healthz/", "//healthz", "/HEALTHZ", "/api/v1", "/api/v1/pause/x",
                           "http://127.0.0.1/healthz", "/%68ealthz", "/healthz#x", "/../healthz"}) {
    EXPECT_EQ(judge(get(path), kLocal).status, 404) << path;
  }
}

TEST(AdminRequestTest, OtherMethodsAreToldWhichOneToUse) {
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", ""}) {
    AdminRequest request = get("/metrics");
    request.method = method;
    EXPECT_EQ(judge(request, kLocal).status, 405) << method;
    EXPECT_EQ(judge(request, kLocal).allow, "GET");
  }
  const AdminVerdict verdict = judge(get("/api/v1/pause"), kLocal);
  EXPECT_EQ(verdict.status, 405);
  EXPECT_EQ(verdict.allow, "POST");
}

TEST(AdminRequestTest, AReboundNameIsRefusedOnLoopback) {
  AdminRequest request = get("/metrics");
  for (const char* host :
       {"evil.example", "evil.example:6433", "127.0.0.1.evil.example", "localhost.evil.example:80",
        "127.0.0.1@evil.example", "127.0.0.1:80@evil.example", "evil.example:127.0.0.1", "",
        "[::1].evil.example", "[::2]", "::1", "localhost:80:80", "127.0.0.2", " localhost"}) {
    request.hosts = {host};
    EXPECT_EQ(judge(request, kLocal).status, 421) << host;
  }
  for (const char* host :
       {"localhost", "LocalHost:1", "127.0.0.1", "127.0.0.1:6433", "[::1]", "[::1]:6433"}) {
    request.hosts = {host};
    EXPECT_EQ(judge(request, kLocal).status, 200) << host;
  }
}

TEST(AdminRequestTest, WhereOthersConnectAnyNameWillDo) {
  AdminRequest request = get("/metrics");
  request.hosts = {"proxy.internal:6433"};
  EXPECT_EQ(judge(request, kOpen).status, 200);
}

TEST(AdminRequestTest, NoHostOrTwoAreRefused) {
  AdminRequest request = get("/metrics");
  request.hosts = {};
  EXPECT_EQ(judge(request, kOpen).status, 400);
  request.hosts = {"localhost", "evil.example"};
  EXPECT_EQ(judge(request, kLocal).status, 400);
}

TEST(AdminRequestTest, WritesOfOtherSitesAreRefusedEvenWithTheToken) {
  AdminRequest request = post("/api/v1/pause");
  request.authorization = "Bearer open sesame";
  for (const char* origin : {"https://evil.example", "null", "http://127.0.0.1:6433", ""}) {
    request.origin = origin;
    EXPECT_EQ(judge(request, kLocalWithToken).status, 403) << origin;
  }
  request.origin.reset();
  for (const char* site : {"cross-site", "same-site", "Cross-Site", ""}) {
    request.fetch_site = site;
    EXPECT_EQ(judge(request, kLocalWithToken).status, 403) << site;
  }
  for (const char* site : {"none", "same-origin"}) {
    request.fetch_site = site;
    EXPECT_EQ(judge(request, kLocalWithToken).status, 200) << site;
  }
}

TEST(AdminRequestTest, AFormsPostIsRefused) {
  AdminRequest request = post("/api/v1/pause");
  request.marked = false;
  for (const char* type : {"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
                           "application/jsonp", "text/plain; application/json"}) {
    request.content_type = type;
    EXPECT_EQ(judge(request, kLocal).status, 415) << type;
  }
  for (const char* type : {"application/json", "Application/JSON; charset=utf-8", "application/json ;x=y"}) {
    request.content_type = type;
    EXPECT_EQ(judge(request, kLocal).status, 200) << type;
  }
}

TEST(AdminRequestTest, WritesNeedTheTokenWhereThereIsOne) {
  AdminRequest request = post("/api/v1/reload");
  for (const char* shown :
       {"", "Bearer", "Bearer ", "Bearer open", "Bearer open sesame ", "Bearer  open sesame",
        "Bearer OPEN SESAME", "Basic open sesame", "open sesame", "Bearer open sesame, Bearer x"}) {
    request.authorization = shown;
    EXPECT_EQ(judge(request, kLocalWithToken).status, 401) << shown;
  }
  request.authorization = "Bearer open sesame";
  EXPECT_EQ(judge(request, kLocalWithToken).status, 200);
  request.authorization = "bearer open sesame";
  EXPECT_EQ(judge(request, kLocalWithToken).status, 200);
}

TEST(AdminRequestTest, ReadsNeedTheTokenOnlyWhereOthersConnectAndNamesAreTold) {
  EXPECT_EQ(judge(get("/api/v1/sessions"), kLocalWithToken).status, 200);
  EXPECT_EQ(judge(get("/api/v1/sessions"), kOpen).status, 401);
  for (const char* path : {"/healthz", "/readyz", "/metrics"}) EXPECT_EQ(judge(get(path), kOpen).status, 200);
  AdminRequest request = get("/api/v1/sessions");
  request.authorization = "Bearer open sesame";
  EXPECT_EQ(judge(request, kOpen).status, 200);
}

TEST(AdminRequestTest, NoRefusalRepeatsTheToken) {
  AdminRequest request = post("/api/v1/reload");
  request.authorization = "Bearer something else";
  const std::string reason = judge(request, kLocalWithToken).reason;
  EXPECT_EQ(reason.find("sesame"), std::string::npos);
  EXPECT_EQ(reason.find("something"), std::string::npos);
}

TEST(AdminRequestTest, TheTimeOutIsADurationAndBounded) {
  constexpr TimeNs kMost = 600'000'000'000;
  EXPECT_EQ(timeout_of("/api/v1/pause", 7, kMost), 7);
  EXPECT_EQ(timeout_of("/api/v1/pause?", 7, kMost), 7);
  EXPECT_EQ(timeout_of("/api/v1/pause?other=1&&timeoutx=2", 7, kMost), 7);
  EXPECT_EQ(timeout_of("/api/v1/pause?timeout=500ms", 7, kMost), 500'000'000);
  EXPECT_EQ(timeout_of("/api/v1/pause?a=b&timeout=0", 7, kMost), 0);
  EXPECT_EQ(timeout_of("/api/v1/pause?timeout=10min", 7, kMost), kMost);
  for (const char* bad : {"", "11min", "-1s", "forever", "1e99", "99999999999999999999"}) {
    EXPECT_EQ(timeout_of(std::string("/api/v1/pause?timeout=") + bad, 7, kMost), std::nullopt) << bad;
  }
}

TEST(AdminRequestTest, ParametersAreDecodedAndTheFirstOfANameCounts) {
  EXPECT_EQ(parameter_of("/api/v1/move?to=%5B::1%5D:5432&promote=true&to=b", "to"), "[::1]:5432");
  EXPECT_EQ(parameter_of("/api/v1/move?to", "to"), "");
  EXPECT_EQ(parameter_of("/api/v1/move?tomorrow=1", "to"), std::nullopt);
  EXPECT_EQ(parameter_of("/api/v1/move", "to"), std::nullopt);
  for (const char* const broken : {"?to=%", "?to=%4", "?to=%g0", "?to=%-1", "?to=%+1", "?to=% 1"}) {
    EXPECT_EQ(parameter_of(broken, "to"), std::nullopt) << broken;
  }
}

}  // namespace
}  // namespace understudy::proxy
