// center.h: what is subtracted from outputs before they are correlated; docs/method.md has the why.
#pragma once

namespace sacfast {

enum class Center { none, row, twice };

}  // namespace sacfast
