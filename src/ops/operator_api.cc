#include "ops/operator_api.h"
