// The resources that the service needs on Azure besides its workspaces and its database: the Function app with its
// identity, the storage account for the app and the artifacts, a key vault for the secrets, and the logs.
// Applying it again changes only the differences.
targetScope = 'resourceGroup'

@description('What everything is named after.')
@minLength(3)
@maxLength(17)
param name string

param location string = resourceGroup().location

@description('When the controller passes: six fields, seconds first, UTC.')
param schedule string = '0 */5 * * * *'

@description('MITORCH_CLUSTERS as JSON, without any password in it.')
param clusters string

@description('The Azure ML workspaces of these clusters: [{subscriptionId, resourceGroup, name}].')
param workspaces array

param databaseName string = 'mitorch'

@secure()
param databaseUri string

@description('Where the artifacts are instead of in this storage account; may hold a SAS token.')
@secure()
param storageUrl string = ''

@description('A service principal for clusters that name MITORCH_AML_AUTH; else the identity of the app is used.')
@secure()
param amlAuth string = ''

@description('MITORCH_WEBHOOKS as JSON, with the addresses and secrets in it.')
@secure()
param webhookList string = ''

@description('Object ids of the identities of compute clusters: they read and write artifacts, and read the vaults.')
param nodePrincipalIds array = []

var unique = uniqueString(resourceGroup().id, name)
var packageContainer = 'app-package'
var artifactContainer = 'artifacts'
var roles = {
  blobOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b' // the minimum that the app's host needs for its storage
  blobContributor: 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
  secretsUser: '4633458b-17de-408a-b874-0445c86b69e6'
}

// A user-assigned identity, so that it has its roles before the app starts and reads its secrets.
resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-identity'
  location: location
}

resource logs 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: '${name}-logs'
  location: location
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: 30
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: '${name}-insights'
  location: location
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: logs.id
  }
}

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: 'mt${unique}'
  location: location
  kind: 'StorageV2'
  sku: {
    name: 'Standard_LRS'
  }
  properties: {
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' = {
  parent: storage
  name: 'default'
}

resource package 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: packageContainer
}

resource artifacts 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: artifactContainer
}

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  name: 'mt-${unique}'
  location: location
  properties: {
    tenantId: subscription().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
  }
}

resource databaseUriSecret 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = {
  parent: vault
  name: 'mitorch-db-uri'
  properties: {
    value: databaseUri
  }
}

resource storageUrlSecret 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = if (!empty(storageUrl)) {
  parent: vault
  name: 'mitorch-storage-url'
  properties: {
    value: storageUrl
  }
}

resource amlAuthSecret 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = if (!empty(amlAuth)) {
  parent: vault
  name: 'mitorch-aml-auth'
  properties: {
    value: amlAuth
  }
}

resource webhooksSecret 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = if (!empty(webhookList)) {
  parent: vault
  name: 'mitorch-webhooks'
  properties: {
    value: webhookList
  }
}

resource mayUseStorage 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(storage.id, identity.id, roles.blobOwner)
  scope: storage
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobOwner)
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

resource nodesMayUseArtifacts 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for principal in nodePrincipalIds: {
  name: guid(artifacts.id, principal, roles.blobContributor)
  scope: artifacts
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobContributor)
    principalId: principal
    principalType: 'ServicePrincipal'
  }
}]

resource mayReadSecrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, identity.id, roles.secretsUser)
  scope: vault
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.secretsUser)
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

module workspaceAccess 'workspace_access.bicep' = [for (workspace, index) in workspaces: {
  name: '${name}-workspace-${index}'
  scope: resourceGroup(workspace.subscriptionId, workspace.resourceGroup)
  params: {
    workspaceName: workspace.name
    identityId: identity.id
    principalId: identity.properties.principalId
    nodePrincipalIds: nodePrincipalIds
  }
}]

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: '${name}-plan'
  location: location
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

var plainSettings = [
  { name: 'APPLICATIONINSIGHTS_CONNECTION_STRING', value: insights.properties.ConnectionString }
  { name: 'AzureWebJobsStorage__accountName', value: storage.name }
  { name: 'AzureWebJobsStorage__credential', value: 'managedidentity' }
  { name: 'AzureWebJobsStorage__clientId', value: identity.properties.clientId }
  { name: 'AZURE_CLIENT_ID', value: identity.properties.clientId }
  { name: 'MITORCH_HOME', value: '/tmp/mitorch' }
  { name: 'MITORCH_SCHEDULE', value: schedule }
  { name: 'MITORCH_CLUSTERS', value: clusters }
  { name: 'MITORCH_DB_NAME', value: databaseName }
]
var secretSettings = [
  { name: 'MITORCH_DB_URI', value: '@Microsoft.KeyVault(VaultName=${vault.name};SecretName=${databaseUriSecret.name})' }
]
var ownArtifacts = [
  { name: 'MITORCH_STORAGE_URL', value: '${storage.properties.primaryEndpoints.blob}${artifactContainer}' }
]
var otherArtifacts = [
  { name: 'MITORCH_STORAGE_URL', value: '@Microsoft.KeyVault(VaultName=${vault.name};SecretName=mitorch-storage-url)' }
]
var principalSettings = [
  { name: 'MITORCH_AML_AUTH', value: '@Microsoft.KeyVault(VaultName=${vault.name};SecretName=mitorch-aml-auth)' }
]
var webhookSettings = [
  { name: 'MITORCH_WEBHOOKS', value: '@Microsoft.KeyVault(VaultName=${vault.name};SecretName=mitorch-webhooks)' }
]

resource app 'Microsoft.Web/sites@2024-04-01' = {
  name: '${name}-${unique}'
  location: location
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identity.id
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${storage.properties.primaryEndpoints.blob}${packageContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identity.id
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.11'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: 2048
        maximumInstanceCount: 40
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      appSettings: concat(
        plainSettings,
        secretSettings,
        empty(storageUrl) ? ownArtifacts : otherArtifacts,
        empty(amlAuth) ? [] : principalSettings,
        empty(webhookList) ? [] : webhookSettings
      )
    }
  }
  dependsOn: [
    package
    mayUseStorage
    mayReadSecrets
    storageUrlSecret
    amlAuthSecret
    webhooksSecret
  ]
}

output appName string = app.name
output healthUrl string = 'https://${app.properties.defaultHostName}/api/health'
output artifactUrl string = '${storage.properties.primaryEndpoints.blob}${artifactContainer}'
