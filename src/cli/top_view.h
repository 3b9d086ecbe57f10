// What `waggle top` shows, as lines of text.
#ifndef WAGGLE_CLI_TOP_VIEW_H_
#define WAGGLE_CLI_TOP_VIEW_H_

#include <cstddef>
#include <string>

#include "waggle/v1/gateway_service.pb.h"

namespace waggle {

// A screen of `columns` by `rows` characters; longer lines are cut, and
// subscribers that do not fit are counted. Nothing that the gateway tells can
// break a line or move the cursor of a terminal.
std::string TopView(const v1::GetGatewayResponse& gateway,
                    const v1::ListSubscribersResponse& subscribers,
                    size_t columns, size_t rows);

}  // namespace waggle

#endif  // WAGGLE_CLI_TOP_VIEW_H_
