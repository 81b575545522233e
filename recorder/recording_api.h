// The admin port's questions about recordings: parameters to requests, and what came of them to JSON.
// Durations and sizes are given as everywhere, and answered in seconds and bytes.
//
// Any thread, several at once.
#pragma once

#include <optional>
#include <string>

#include "proxy/admin_service.h"
#include "recorder/recording_control.h"

namespace understudy::recorder {

// Answers kRecord, kRecordStart, kRecordStop, kRecordMark and kRecordSave.
[[nodiscard]] proxy::AdminReply answer_recording(RecordingControl& control, proxy::AdminEndpoint endpoint,
                                                 const proxy::AdminRequest& request);

[[nodiscard]] std::string recording_json(const std::optional<RecordingStatus>& status);

}  // namespace understudy::recorder
