-- Argo CD health check of registrytrust.io/RegistryTrust. The operator writes status.observedGeneration with every
-- status, and Stalled and Reconciling only while they are true (kstatus).
local health = {status = "Progressing", message = "the operator has not seen this yet"}

local status = obj.status
if status == nil or status.conditions == nil or status.observedGeneration ~= obj.metadata.generation then
  return health
end

local found = {}
for _, condition in ipairs(status.conditions) do
  found[condition.type] = condition
end

local ready, stalled = found["Ready"], found["Stalled"]
if stalled ~= nil and stalled.status == "True" then
  return {status = "Degraded", message = stalled.reason .. ": " .. stalled.message}
end
if obj.spec ~= nil and obj.spec.suspend then
  return {status = "Suspended", message = found["Accepted"] ~= nil and found["Accepted"].message or "suspended"}
end
if ready ~= nil and ready.status == "True" then
  return {status = "Healthy", message = ready.message}
end
if ready ~= nil then
  health.message = ready.reason .. ": " .. ready.message
end
return health
