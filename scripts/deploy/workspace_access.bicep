// Allows the app's identity to submit and read runs and to create compute clusters in an Azure ML workspace, which may
// be in another resource group or subscription; and the nodes to read its key vault, if that is beside it.
targetScope = 'resourceGroup'

param workspaceName string
param identityId string
param principalId string
param nodePrincipalIds array

var roles = [
  'acdd72a7-3385-48ef-bd42-f606fba80ae7' // Reader: the workspace itself
  'f6c7c914-8db3-469d-8ca1-694a8f32e121' // AzureML Data Scientist: everything except computes
  'e503ece1-11d0-4e8e-8e2c-7a6c3bf38815' // AzureML Compute Operator: computes
]

resource workspace 'Microsoft.MachineLearningServices/workspaces@2024-04-01' existing = {
  name: workspaceName
}

resource mayUseWorkspace 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for role in roles: {
  name: guid(workspace.id, identityId, role)
  scope: workspace
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}]

module nodesMayReadVault 'vault_access.bicep' = if (!empty(nodePrincipalIds)) {
  name: '${workspaceName}-vault'
  params: {
    vaultName: last(split(workspace.properties.keyVault, '/'))
    nodePrincipalIds: nodePrincipalIds
  }
}
